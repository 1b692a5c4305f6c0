"""The languages that people are spoken to in: letters here, pages above. English is what nobody chose."""

LANGUAGES = ("en", "ru")
