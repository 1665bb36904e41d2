// Messages as columns: what SQLiteCpp does not do by itself.
#ifndef ATELIER_SERVER_STORE_ROWS_H_
#define ATELIER_SERVER_STORE_ROWS_H_

#include <SQLiteCpp/SQLiteCpp.h>
#include <google/protobuf/message_lite.h>

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace atelier::store {

// Binds text whose lifetime ends with the call.
inline void BindText(SQLite::Statement* statement, int index, absl::string_view text) {
  statement->bind(index, std::string(text));
}

inline void BindMessage(SQLite::Statement* statement, int index,
                        const google::protobuf::MessageLite& message) {
  const std::string bytes = message.SerializeAsString();
  statement->bind(index, static_cast<const void*>(bytes.data()), static_cast<int>(bytes.size()));
}

inline bool ParseMessage(const SQLite::Column& column, google::protobuf::MessageLite* message) {
  return message->ParseFromArray(column.getBlob(), column.getBytes());
}

// As ParseMessage, for a message that says its name, by which its readers know the row: false as
// well if that is another one.
template <typename Message>
bool ParseNamed(const SQLite::Column& column, absl::string_view name, Message* message) {
  return ParseMessage(column, message) && message->name() == name;
}

// As ParseNamed, for one that says its version, too.
template <typename Message>
bool ParseVersion(const SQLite::Column& column, absl::string_view name, std::int64_t version,
                  Message* message) {
  return ParseNamed(column, name, message) && message->version() == version;
}

// Throws if a message was not parsed: the database is damaged.
inline void Demand(bool parsed) {
  if (!parsed) throw SQLite::Exception("a stored message cannot be read", 11 /* SQLITE_CORRUPT */);
}

inline void ReadMessage(const SQLite::Column& column, google::protobuf::MessageLite* message) {
  Demand(ParseMessage(column, message));
}

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_ROWS_H_
