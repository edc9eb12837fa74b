class bdist_wheel:
    def run(self):
        return "built"
