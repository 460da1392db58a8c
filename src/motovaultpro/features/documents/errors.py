from motovaultpro.core.errors import ConflictError


class DocumentInUseError(ConflictError):
    code = "document_in_use"
