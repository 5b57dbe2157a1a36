// Databases that the server grants by a name: `--postgres app=URL`, `--sqlite app=PATH`. The modules are the interfaces
// of the host themselves (wit/deps): a variant is `{ tag, val }`, a 64-bit integer is a BigInt, and an error is thrown.
import { Connection as Postgres } from "spin:postgres/postgres@4.0.0";
import { Connection as Sqlite } from "spin:sqlite/sqlite@3.0.0";

const integer = (value) => ({ tag: "integer", val: BigInt(value) });

function ofPostgres(text) {
  const connection = Postgres.open("app");
  connection.execute("create table if not exists note (id serial, text text)", []);
  connection.execute("insert into note (text) values ($1)", [{ tag: "str", val: text }]);
  const { rows } = connection.query("select count(*), max(text) from note where id > $1", [{ tag: "int32", val: 0 }]);
  return rows[0].map(({ val }) => String(val));
}

function ofSqlite(text) {
  const connection = Sqlite.open("app");
  connection.execute("create table if not exists note (id integer primary key, text text)", []);
  connection.execute("insert into note (text) values (?)", [{ tag: "text", val: text }]);
  const { rows } = connection.execute("select count(*), max(text) from note where id > ?", [integer(0)]);
  return rows[0].values.map(({ val }) => String(val));
}

function failing() {
  try {
    Postgres.open("app").query("select 1 / 0", []);
  } catch (error) {
    // What the host answers is the payload of the error that is thrown.
    return error.payload.val.val.code;
  }
}

export default {
  fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    const text = searchParams.get("text") ?? "";
    const ask = { "/postgres": ofPostgres, "/sqlite": ofSqlite, "/failing": failing }[pathname];
    return ask ? Response.json(ask(text)) : new Response("nothing here\n", { status: 404 });
  },
};
