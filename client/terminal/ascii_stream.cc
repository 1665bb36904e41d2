#include "client/terminal/ascii_stream.h"

#include "absl/strings/string_view.h"
#include "client/terminal/display_text.h"

namespace atelier::client {

AsciiStream::Buffer::~Buffer() {
  if (!pending_.empty()) *sink_ << ToAscii(pending_);
}

std::streamsize AsciiStream::Buffer::xsputn(const char* text, std::streamsize size) {
  pending_.append(text, static_cast<std::size_t>(size));
  const std::size_t whole = WholeCharacters(pending_);
  *sink_ << ToAscii(absl::string_view(pending_).substr(0, whole));
  pending_.erase(0, whole);
  return sink_->good() ? size : 0;
}

AsciiStream::int_type AsciiStream::Buffer::overflow(int_type c) {
  if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
  const char byte = traits_type::to_char_type(c);
  return xsputn(&byte, 1) == 1 ? c : traits_type::eof();
}

int AsciiStream::Buffer::sync() { return sink_->flush().good() ? 0 : -1; }

}  // namespace atelier::client
