"""What the API takes and gives, field by field: the validation and the OpenAPI document come from here."""
