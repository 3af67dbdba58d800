use num_bigint as _;
use proptest as _;
