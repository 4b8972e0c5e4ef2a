"""What spans every domain: health, the signed-in user, and the pages of the admin panel."""
