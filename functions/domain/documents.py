"""Where the documents of rescrapes are."""


def folder(project_id: str, source_id: str, change_event_id: str) -> str:
    """What the names of all documents of a change event begin with."""
    return f"documents/{project_id}/{source_id}/{change_event_id}/"
