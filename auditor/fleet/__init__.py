"""Many targets: which they are, how they share hosts, and the machines that audit them."""
