"""Delivery statistics: what an attempt counts as, how figures are added up, and for which times they are kept."""
