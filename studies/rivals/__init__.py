"""Group networks against plain networks with rotated images, at equal cost, and with few labels."""
