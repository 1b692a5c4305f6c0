"""Every column that names an uploaded file, for backups. A test keeps the list whole."""

FILE_REFERENCES: tuple[tuple[str, str], ...] = (
    ("receipt", "file_key"),
    ("receipt", "picture_key"),
    ("store", "logo_key"),
    ("trader_document", "file_key"),
    ("trader_document", "picture_key"),
)
