"""Tables as shops export them: their kinds of files, their dialects of columns."""
