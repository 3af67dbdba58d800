use proptest as _; use num_bigint as _;
