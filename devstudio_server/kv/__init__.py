"""Small values that surfaces keep on the server: by scope and key, with an optional end."""
