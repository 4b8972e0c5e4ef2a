"""Small tools with no word of the domain in them: errors, ids, clock, pagination, logging."""
