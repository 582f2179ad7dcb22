"""How fast what has piled up is delivered, once it may be."""
