"""Which version scores, who decided that, and on what comparison."""
