"""One outside service each, behind our own nouns: foreign dictionaries and errors stop here."""
