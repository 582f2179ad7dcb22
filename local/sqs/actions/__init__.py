"""The actions of the API: a request's fields in, an answer's fields out."""
