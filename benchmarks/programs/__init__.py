"""What the product is measured against: each answers the same calls with the same bytes."""
