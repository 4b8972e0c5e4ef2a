"""What models may cost and did cost: budgets, and sums by what the calls were for."""
