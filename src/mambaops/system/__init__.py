"""The steps that change or ask the system itself: toolkits, shell files, names, containers, WSL.

What would be done is decided by pure functions (a route, a block of text, a command); running it is
apart, and never without permission where root is needed.
"""
