import sales_revin as user

STEPS = 400
GOAL = 0.06
HIGHER_IS_BETTER = False
SICK = False
CAUSE = "healthy: raw inputs and targets from 10 to 100 000 and detached statistics, but the net normalises each window itself and the loss divides by the same scale"


def metric(model):
    return user.mape(model, user.test_x, user.test_y)


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.06 -- as it is: 0.02308, 0.02515, 0.02486; longest run 0.9 s on one core'
)
