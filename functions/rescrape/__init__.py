"""The rescrape function: what changed is scraped again by Firecrawl, stored, and told of as an event (B7)."""
