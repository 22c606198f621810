"""What an application needs: interpreter, requirements, and the steps that install them."""
