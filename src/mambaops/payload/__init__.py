"""Code that the target interpreter runs: Python 3.8 syntax, nothing imported from outside `payload/`."""
