"""The filter language of subscriptions (D2): docs/filters.md is its manual.

A filter is read once into conditions (language), compiled to a jsonpath for Postgres where events are matched
(jsonpath), and evaluated here where a person wants to know why (evaluation). Both evaluators give the same answer
for every filter and every JSON value; tests/integration/test_filters.py holds them to it.
"""

from functions.domain.filters.evaluation import Reason, explain, matches
from functions.domain.filters.jsonpath import compile_filter
from functions.domain.filters.language import FilterError

__all__ = ["FilterError", "Reason", "compile_filter", "explain", "matches"]
