"""detect, plan, assemble, pack, verify: one public function each, named like its module."""
