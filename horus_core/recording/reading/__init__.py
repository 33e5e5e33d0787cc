"""Opening sessions and files, whole, running, cut or damaged; what is in them."""
