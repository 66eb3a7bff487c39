"""Tools of the designer that need no model: colour, pattern, vector, cut-out, mock-up, print. Light: no torch here."""
