"""Accepting events, whoever they come from: the API's callers, inbound senders, or a rescrape."""
