module durations

go 1.21
