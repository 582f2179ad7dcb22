"""The function `metrics`: rows from the lines that the others write about themselves."""
