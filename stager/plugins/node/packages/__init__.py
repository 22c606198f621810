"""What an application needs: Node, a package manager, its lock, and the steps that install and build."""
