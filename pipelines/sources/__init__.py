"""Where rows come from: the configuration, the readers, the demo company."""
