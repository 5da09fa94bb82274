-- The database of the model registry, made by psql when PostgreSQL is set up (compose.yaml mounts it where it looks).
-- On a server that is there already, once by hand: MLFLOW_PASSWORD=... psql --file=mlflow.sql
\getenv password MLFLOW_PASSWORD
CREATE ROLE mlflow LOGIN PASSWORD :'password';
CREATE DATABASE mlflow OWNER mlflow;
-- Neither of the two reaches into the other's.
REVOKE CONNECT, TEMPORARY ON DATABASE mlflow FROM PUBLIC;
REVOKE CONNECT, TEMPORARY ON DATABASE :"DBNAME" FROM PUBLIC;
