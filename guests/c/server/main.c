// A greeting, an echo and a stream, on the bare bindings of wasi:http (application.h is generated).
#include "application.h"
#include <stdio.h>
#include <string.h>

// Sends the head, and returns where the body is written to.
static wasi_io_streams_own_output_stream_t begin(wasi_http_types_own_response_outparam_t out,
                                                 uint16_t status,
                                                 wasi_http_types_own_outgoing_body_t *body) {
  wasi_http_types_own_fields_t headers = wasi_http_types_constructor_fields();
  wasi_http_types_field_name_t name = {(uint8_t *)"content-type", 12};
  wasi_http_types_field_value_t value = {(uint8_t *)"text/plain", 10};
  wasi_http_types_header_error_t refused;
  wasi_http_types_method_fields_append(wasi_http_types_borrow_fields(headers), &name, &value,
                                       &refused);

  wasi_http_types_result_own_outgoing_response_error_code_t result = {.is_err = false};
  result.val.ok = wasi_http_types_constructor_outgoing_response(headers);
  wasi_http_types_borrow_outgoing_response_t response =
      wasi_http_types_borrow_outgoing_response(result.val.ok);
  wasi_http_types_method_outgoing_response_set_status_code(response, status);
  wasi_http_types_method_outgoing_response_body(response, body);
  wasi_io_streams_own_output_stream_t stream;
  wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(*body), &stream);
  wasi_http_types_static_response_outparam_set(out, &result);
  return stream;
}

// Ends the body; a stream goes before the body that it belongs to.
static void end(wasi_http_types_own_outgoing_body_t body, wasi_io_streams_own_output_stream_t to) {
  wasi_io_streams_output_stream_drop_own(to);
  wasi_http_types_error_code_t failed;
  wasi_http_types_static_outgoing_body_finish(body, NULL, &failed);
}

static void say(wasi_io_streams_own_output_stream_t to, const char *text) {
  application_list_u8_t bytes = {(uint8_t *)text, strlen(text)};
  wasi_io_streams_stream_error_t failed;
  wasi_io_streams_method_output_stream_blocking_write_and_flush(
      wasi_io_streams_borrow_output_stream(to), &bytes, &failed);
}

// Sends back what the client sends, as it sends it, without a copy of it here.
static void echo(wasi_http_types_borrow_incoming_request_t request,
                 wasi_io_streams_own_output_stream_t to) {
  wasi_http_types_own_incoming_body_t body;
  wasi_io_streams_own_input_stream_t from;
  if (!wasi_http_types_method_incoming_request_consume(request, &body)) {
    return;
  }
  wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(body), &from);
  uint64_t passed;
  wasi_io_streams_stream_error_t ended;
  while (wasi_io_streams_method_output_stream_blocking_splice(
      wasi_io_streams_borrow_output_stream(to), wasi_io_streams_borrow_input_stream(from),
      64 * 1024, &passed, &ended)) {
  }
  wasi_io_streams_input_stream_drop_own(from);
  wasi_http_types_incoming_body_drop_own(body);
}

// So many bytes the client sends.
static uint64_t received(wasi_http_types_borrow_incoming_request_t request) {
  wasi_http_types_own_incoming_body_t body;
  wasi_io_streams_own_input_stream_t from;
  if (!wasi_http_types_method_incoming_request_consume(request, &body)) {
    return 0;
  }
  wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(body), &from);
  uint64_t count = 0;
  application_list_u8_t piece;
  wasi_io_streams_stream_error_t ended;
  while (wasi_io_streams_method_input_stream_blocking_read(
      wasi_io_streams_borrow_input_stream(from), 64 * 1024, &piece, &ended)) {
    count += piece.len;
    application_list_u8_free(&piece);
  }
  wasi_io_streams_input_stream_drop_own(from);
  wasi_http_types_incoming_body_drop_own(body);
  return count;
}

static void say_bytes(wasi_io_streams_own_output_stream_t to, const uint8_t *bytes, size_t length) {
  application_list_u8_t list = {(uint8_t *)bytes, length};
  wasi_io_streams_stream_error_t failed;
  wasi_io_streams_method_output_stream_blocking_write_and_flush(
      wasi_io_streams_borrow_output_stream(to), &list, &failed);
}

// Says what it was asked, a line for each thing.
static void describe(wasi_http_types_borrow_incoming_request_t request, application_string_t path,
                     uint64_t received, wasi_io_streams_own_output_stream_t to) {
  say(to, "path ");
  say_bytes(to, path.ptr, path.len);
  wasi_http_types_own_headers_t headers = wasi_http_types_method_incoming_request_headers(request);
  wasi_http_types_list_tuple2_field_name_field_value_t entries;
  wasi_http_types_method_fields_entries(wasi_http_types_borrow_fields(headers), &entries);
  for (size_t i = 0; i < entries.len; i++) {
    say(to, "\nheader ");
    say_bytes(to, entries.ptr[i].f0.ptr, entries.ptr[i].f0.len);
    say(to, ": ");
    say_bytes(to, entries.ptr[i].f1.ptr, entries.ptr[i].f1.len);
  }
  wasi_http_types_list_tuple2_field_name_field_value_free(&entries);
  wasi_http_types_fields_drop_own(headers);
  char line[32];
  snprintf(line, sizeof line, "\nbody %llu\n", (unsigned long long)received);
  say(to, line);
}

// Writes five lines, a tenth of a second apart.
static void slow(wasi_io_streams_own_output_stream_t to) {
  const uint64_t tenth = 100 * 1000 * 1000;
  for (int number = 0; number < 5; number++) {
    char line[16];
    snprintf(line, sizeof line, "chunk %d\n", number);
    say(to, line);
    wasi_clocks_monotonic_clock_own_pollable_t timer =
        wasi_clocks_monotonic_clock_subscribe_duration(tenth);
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(timer));
    wasi_io_poll_pollable_drop_own(timer);
  }
}

static bool begins(application_string_t path, const char *with) {
  return path.len >= strlen(with) && memcmp(path.ptr, with, strlen(with)) == 0;
}

static bool is(application_string_t path, const char *expected) {
  return path.len == strlen(expected) && memcmp(path.ptr, expected, path.len) == 0;
}

void exports_wasi_http_incoming_handler_handle(
    wasi_http_types_own_incoming_request_t request, wasi_http_types_own_response_outparam_t out) {
  wasi_http_types_borrow_incoming_request_t asked = wasi_http_types_borrow_incoming_request(request);
  wasi_http_types_method_t method;
  wasi_http_types_method_incoming_request_method(asked, &method);
  bool gets = method.tag == WASI_HTTP_TYPES_METHOD_GET || method.tag == WASI_HTTP_TYPES_METHOD_HEAD;
  bool posts = method.tag == WASI_HTTP_TYPES_METHOD_POST;
  application_string_t path = {NULL, 0};
  wasi_http_types_method_incoming_request_path_with_query(asked, &path);

  wasi_http_types_own_outgoing_body_t body;
  wasi_io_streams_own_output_stream_t to;
  if (gets && is(path, "/")) {
    to = begin(out, 200, &body);
    say(to, "Hello, world!\n");
  } else if (gets && is(path, "/slow")) {
    to = begin(out, 200, &body);
    slow(to);
  } else if (posts && is(path, "/echo")) {
    to = begin(out, 200, &body);
    echo(asked, to);
  } else if (begins(path, "/request")) {
    uint64_t count = received(asked);
    to = begin(out, 200, &body);
    describe(asked, path, count, to);
  } else if (gets && is(path, "/trap")) {
    __builtin_trap();
  } else {
    to = begin(out, 404, &body);
    say(to, "not found\n");
  }
  end(body, to);
  application_string_free(&path);
  wasi_http_types_method_free(&method);
  wasi_http_types_incoming_request_drop_own(request);
}
