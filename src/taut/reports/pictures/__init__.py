"""How every picture looks, and the pictures that several tasks show."""
