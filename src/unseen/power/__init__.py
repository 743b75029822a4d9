"""Power studies: how many signal events a test needs to see them."""
