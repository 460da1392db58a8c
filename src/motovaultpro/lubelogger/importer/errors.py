class ImportRefusedError(Exception):
    """The import cannot go on; the message is one line that an owner understands. Nothing was written."""
