"""Data files of the application: icons, styles, translations, catalogue."""
