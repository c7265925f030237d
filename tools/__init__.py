"""Programs that made what the project ships; the library needs none of them."""
