"""Words: how texts are read as words, queries parsed, and a listing's words scored."""
