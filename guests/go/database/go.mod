module example.com/database

go 1.24
