"""What is started: scripts followed down to their programs, and the command that is made of them."""
