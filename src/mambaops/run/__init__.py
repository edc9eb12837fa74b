"""Running a plan: looking, acting, looking again, evidence, remedies."""
