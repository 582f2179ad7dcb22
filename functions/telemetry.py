"""The one logger of a function; it writes structured lines to standard output."""

from aws_lambda_powertools import Logger

logger = Logger(use_rfc3339=True, utc=True)
