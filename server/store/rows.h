// Messages as columns: what SQLiteCpp does not do by itself.
#ifndef ATELIER_SERVER_STORE_ROWS_H_
#define ATELIER_SERVER_STORE_ROWS_H_

#include <SQLiteCpp/SQLiteCpp.h>
#include <google/protobuf/message_lite.h>

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

// Throws if the column holds no such message: the database is damaged.
inline void ReadMessage(const SQLite::Column& column, google::protobuf::MessageLite* message) {
  if (!message->ParseFromArray(column.getBlob(), column.getBytes())) {
    throw SQLite::Exception("a stored message cannot be read", 11 /* SQLITE_CORRUPT */);
  }
}

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_ROWS_H_
