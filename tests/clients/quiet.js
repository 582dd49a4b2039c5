// Import this before the SDK, which binds the console's functions when it is loaded and narrates all that it does.
for (const level of ['debug', 'log', 'info', 'warn', 'error', 'trace']) console[level] = () => {};
