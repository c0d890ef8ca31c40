def run_check(*a):
    return 0
