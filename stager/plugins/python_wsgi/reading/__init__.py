"""What an application is, read from its syntax trees and never by importing it."""
